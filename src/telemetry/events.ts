/** Every event that hotpack logs. The name says what happened; fields say to what. */
export type EventName =
  // the process
  | 'setting_unknown'
  | 'started'
  | 'stopping'
  | 'stopped'
  | 'crashed'
  // requests
  | 'request'
  | 'request_failed'
  | 'api_failed'
  // access
  | 'access_denied'
  // upstream
  | 'upstream_failed'
  | 'upstream_throttled'
  // mirrors
  | 'fill_started'
  | 'fill_staged'
  | 'fill_elsewhere'
  | 'fill_ended'
  | 'fill_failed'
  | 'ingest_failed'
  | 'publish'
  | 'mirror_damaged'
  | 'mirror_reset'
  | 'mirror_evicted'
  | 'mirror_too_large'
  | 'packs_merged'
  | 'packs_removed'
  | 'bitmap_made'
  // stored answers
  | 'answer_stored'
  | 'answer_failed'
  // counters
  | 'counts_failed'
  | 'counts_recovered'
  | 'counts_odd'
  // warming
  | 'prewarm.start'
  | 'prewarm.repo'
  | 'prewarm.answers'
  | 'prewarm.end'
  // background
  | 'job_failed'
  | 'thread_lost'
  | 'storage_failed';
