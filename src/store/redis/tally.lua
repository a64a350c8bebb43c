-- The numbers of one queue in one partition at one moment, so that they balance.
--
-- KEYS  1 to 7 the queue
-- Gives {waiting, dead, first due or '', first urgent due or '', {count, number, …}}.
local function first(key) return redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or '' end
local waiting, urgent = KEYS[1 + WAITING], KEYS[1 + URGENT]
local size = redis.call('ZCARD', waiting) + redis.call('ZCARD', urgent)
local counts = redis.call('HGETALL', KEYS[1 + COUNTS])
return { size, redis.call('ZCARD', KEYS[1 + DEAD]), first(waiting), first(urgent), counts }
