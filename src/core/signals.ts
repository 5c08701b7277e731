/** Linux signal numbers, the same on x64 and arm64 (signal(7)). Real-time signals are SIGRTMIN+n with SIGRTMIN 34, as glibc and musl agree. */
export const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
};

const firstRealTime = 34;
const lastRealTime = 64;
const names = new Map(Object.entries(signalNumbers).map(([name, number]) => [number, name]));

/** "SIGTERM", "TERM", "15", "SIGRTMIN+3" -> "SIGTERM" form; undefined when it is no signal. */
export function signalName(text: string): string | undefined {
  const upper = text.trim().toUpperCase();
  if (/^\d+$/.test(upper)) return nameOfSignal(Number(upper));
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  if (Object.hasOwn(signalNumbers, name)) return name;
  const number = signalNumber(name);
  return number === 0 ? undefined : nameOfSignal(number);
}

/** 15 -> "SIGTERM"; undefined when there is no such signal. */
export function nameOfSignal(number: number): string | undefined {
  if (number === firstRealTime) return "SIGRTMIN";
  if (number > firstRealTime && number <= lastRealTime) return `SIGRTMIN+${number - firstRealTime}`;
  return names.get(number);
}

/** The number of a name in "SIGTERM" or "SIGRTMIN+3" form; 0 when it is no signal. */
export function signalNumber(name: string): number {
  const known = signalNumbers[name];
  if (known !== undefined) return known;
  const realTime = /^SIGRTM(IN|AX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime === null) return 0;
  const base = realTime[1] === "IN" ? firstRealTime : lastRealTime;
  const number = base + (realTime[2] === "-" ? -1 : 1) * Number(realTime[3] ?? 0);
  return number >= firstRealTime && number <= lastRealTime ? number : 0;
}
