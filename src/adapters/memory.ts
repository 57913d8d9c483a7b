/** The adapters in memory, which run on every platform. */

export { memoryNetwork } from './memory-network.js';
export { memoryStorage } from './memory-storage.js';
