/** Text that only the program's inside, or the libraries below it, would write. */
export const insideText =
  /index out of range|wire type|\bat \S+:\d+|node_modules|\/tmp\/|\.ts\b|\.js\b|SQLITE|(?<!received )undefined|TypeError|RangeError|Cannot read/;
