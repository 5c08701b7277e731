/** The interrupted shell convention: 128 + SIGINT. */
export const interrupted = 130;
