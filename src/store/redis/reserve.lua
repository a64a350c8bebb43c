-- The next slot of a channel: it moves on by what is asked for, and what is past lapses. Allowed when memory is full, because
-- what is sent frees it.
--
-- KEYS  1 the channel's next free slot, in microseconds
-- ARGV  1 how many microseconds are asked for, 2 the clock's shift in ms
-- Gives {1, microseconds until the slot} or {0, microseconds until it is worth asking again, in whole milliseconds}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2] + ARGV[2] * 1000
local slot = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local early = slot - now - SLOT_AHEAD * 1000
if early > 0 then return { 0, math.ceil(early / 1000) * 1000 } end
local free = slot + ARGV[1]
write('SET', KEYS[1], free, 'PX', math.ceil((free - now) / 1000) + SLOT_KEPT)
carry_out()
return { 1, slot - now }
