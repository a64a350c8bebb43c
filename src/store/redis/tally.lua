#!lua flags=no-writes
-- The numbers of one queue in one partition at one moment, so that they balance.
--
-- KEYS  1 to 6 the queue in the order of keys.rs: waiting, dead, headers, payloads, reasons, counts
-- Gives {waiting, dead, first due or '', {count, number, …}}.
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or ''
return { redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]), first, redis.call('HGETALL', KEYS[6]) }
