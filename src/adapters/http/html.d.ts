/** Pages are put into the bundle as text. */
declare module "*.html" {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: what a loader makes of a file has no other name
  export default text;
}
