import type { SpawnSpec } from "../../runtime/ports.js";

/**
 * Fields and descriptors of a SPAWN frame, in the order in which PROTOCOL.md lists the keys. `byName`: what the init holds is named;
 * else it is sent, too.
 */
export function spawnRequest(
  id: string,
  spec: SpawnSpec,
  byName: boolean,
): { readonly fields: readonly string[]; readonly fds: readonly number[] } {
  const fields = [id, `session=${spec.newSession ? 1 : 0}`];
  if (spec.tty) fields.push("tty=1");
  // one descriptor may be wanted at several numbers and is sent once
  const fds: number[] = [];
  for (const { target, fd, held } of spec.fds) {
    if (held !== undefined && byName) {
      fields.push(`held=${target}:${held}`);
      continue;
    }
    if (!fds.includes(fd)) fds.push(fd);
    fields.push(`fd=${target}:${fds.indexOf(fd)}`);
  }
  for (const limit of spec.limits) fields.push(`rlimit=${limit.resource}:${limit.soft}:${limit.hard}`);
  if (spec.nice !== undefined) fields.push(`nice=${spec.nice}`);
  if (spec.oomScoreAdj !== undefined) fields.push(`oom=${spec.oomScoreAdj}`);
  if (spec.umask !== undefined) fields.push(`umask=${spec.umask.toString(8)}`);
  if (spec.identity !== undefined) {
    fields.push(`gid=${spec.identity.gid}`, `groups=${spec.identity.groups.join(",")}`, `uid=${spec.identity.uid}`);
  }
  if (spec.cwd !== undefined) fields.push(`cwd=${spec.cwd}`);
  for (const name of spec.pidEnv) fields.push(`pidenv=${name}`);
  for (const element of spec.env) fields.push(`e=${element}`);
  for (const argument of spec.argv) fields.push(`a=${argument}`);
  return { fields, fds };
}
