/** What hotpack calls itself: `package.json`'s version, held equal by a test. */
export const VERSION = '0.1.0';
