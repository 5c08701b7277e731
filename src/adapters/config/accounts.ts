import type { Identity } from "../../core/plan.js";
import { suggest } from "../../core/suggest.js";
import { meant, quote } from "./complaints.js";
import { Refused } from "./format.js";

interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** /etc/passwd and /etc/group as they are in the image (passwd(5), group(5)); read when first asked. No NSS, as in container runtimes. */
export class Accounts {
  readonly #readText: (path: string) => string;
  #users: readonly User[] | undefined;
  #groups: readonly Group[] | undefined;

  constructor(readText: (path: string) => string) {
    this.#readText = readText;
  }

  /** `user` may be "name", "uid", "name:group"; `group` beats the part after the colon. */
  identity(user: string | undefined, group: string | undefined): Identity | Refused | undefined {
    if (user === undefined && group === undefined) return undefined;
    const [userName, inlineGroup] = splitUser(user);
    if (inlineGroup === "")
      return new Refused(`no group is named behind the colon of ${quote(user ?? "")}`, `write ${userName}`);
    const groupName = group ?? inlineGroup;
    const account = userName === undefined ? undefined : this.#user(userName);
    if (account instanceof Refused) return account;
    const gid = groupName === undefined ? account?.gid : this.#gid(groupName);
    if (gid instanceof Refused) return gid;
    if (account === undefined) {
      return new Refused("a group without a user", "give user, too");
    }
    if (gid === undefined) {
      return new Refused(
        `the group of user ${account.uid} is unknown: /etc/passwd has no such user`,
        `give it: group: ${account.uid}`,
      );
    }
    const named = this.#groupsOf(account.name).filter((other) => other !== gid);
    return {
      uid: account.uid,
      gid,
      groups: [gid, ...named],
      ...(account.home === "" ? {} : { home: account.home }),
      ...(account.name === "" ? {} : { name: account.name }),
    };
  }

  #user(text: string): (Pick<User, "name" | "uid" | "home"> & { readonly gid?: number }) | Refused {
    const users = this.#readUsers();
    const uid = idNumber(text);
    const found = users.find((user) => user.name === text) ?? users.find((user) => user.uid === uid);
    if (found !== undefined) return found;
    if (uid !== undefined) return { name: "", uid, home: "" };
    return new Refused(
      `unknown user ${quote(text)}`,
      meant(
        suggest(
          text,
          users.map((user) => user.name),
        ),
      ) ?? "it is not in /etc/passwd",
    );
  }

  #gid(text: string): number | Refused {
    const groups = this.#readGroups();
    const gid = groups.find((group) => group.name === text)?.gid ?? idNumber(text);
    if (gid !== undefined) return gid;
    return new Refused(
      `unknown group ${quote(text)}`,
      meant(
        suggest(
          text,
          groups.map((group) => group.name),
        ),
      ) ?? "it is not in /etc/group",
    );
  }

  #groupsOf(user: string): number[] {
    if (user === "") return [];
    return this.#readGroups()
      .filter((group) => group.members.includes(user))
      .map((group) => group.gid);
  }

  #readUsers(): readonly User[] {
    this.#users ??= this.#lines("/etc/passwd").flatMap(([name = "", , uid, gid, , home = ""]) =>
      /^\d+$/.test(uid ?? "") && /^\d+$/.test(gid ?? "") ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [],
    );
    return this.#users;
  }

  #readGroups(): readonly Group[] {
    this.#groups ??= this.#lines("/etc/group").flatMap(([name = "", , gid, members = ""]) =>
      /^\d+$/.test(gid ?? "")
        ? [{ name, gid: Number(gid), members: members.split(",").filter((member) => member !== "") }]
        : [],
    );
    return this.#groups;
  }

  #lines(path: string): string[][] {
    try {
      return this.#readText(path)
        .split("\n")
        .map((line) => line.split(":"));
    } catch {
      // an image without the file has no names; numbers still work
      return [];
    }
  }
}

function splitUser(user: string | undefined): [string | undefined, string | undefined] {
  const colon = user?.indexOf(":") ?? -1;
  return user === undefined || colon === -1 ? [user, undefined] : [user.slice(0, colon), user.slice(colon + 1)];
}

/** The kernel's ids have 32 bits; the last means "unchanged". */
function idNumber(text: string): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : undefined;
  return id !== undefined && id < 2 ** 32 - 1 ? id : undefined;
}
