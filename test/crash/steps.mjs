// The steps a product tells of: JSON lines with `step`, and `side` where one stream carries both.

/** Reads a stream; calls `tell` for each step. `side`: whose stream it is, when a line does not say. */
export function followSteps(stream, tell, side) {
  let rest = "";
  stream.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.includes('"step"')) continue;
      try {
        const value = JSON.parse(line);
        if (typeof value.step === "string") tell({ step: value.step, side: value.side ?? side });
      } catch {
        // a service's own line
      }
    }
  });
}
