/** The fields that git's own http-backend puts on everything that changes, and that nothing on the way may compress. */
export const NOT_TO_BE_KEPT: Readonly<Record<string, string>> = {
  'cache-control': 'no-cache, max-age=0, must-revalidate, no-transform',
  pragma: 'no-cache',
  expires: 'Fri, 01 Jan 1980 00:00:00 GMT',
};
