// Stands in for yargs-parser in the bundles: convict asks it for options at every load, and gets none from us. Saves a start 3 ms.
module.exports = () => ({ _: [] });
