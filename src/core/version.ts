declare const PINGORA_ENTRY_VERSION: string;
declare const PINGORA_ENTRY_BUILD: string;

/** The package's version; put in by the build. */
export const version: string = PINGORA_ENTRY_VERSION;

/** Short commit of the build, or "unknown"; put in by the build. */
export const build: string = PINGORA_ENTRY_BUILD;
