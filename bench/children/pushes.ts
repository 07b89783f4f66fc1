/** Child process of the pushes row: plays argv[2] pushes, prints one JSON line. */
import { playPushes } from '../../test/unit/mirror/maintenance/play-pushes.ts';

console.log(JSON.stringify(await playPushes({ pushes: Number(process.argv[2]), batch: 1 })));
