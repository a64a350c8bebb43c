#!lua flags=allow-oom
-- Says how an attempt at a claimed item went. Allowed when memory is full, because work done is what frees it.
--
-- KEYS  1 to 6 the queue in the order of keys.rs: waiting, dead, headers, payloads, reasons, counts
-- ARGV  1 item, 2 generation, 3 attempt (four bytes), 4 verdict, 5 due ms, or why it is dead, or the reason,
--       6 the clock's shift in ms
-- Gives 'done' or 'stale'.
local id, verdict = ARGV[1], ARGV[4]
local header = redis.call('HGET', KEYS[3], id)
if not header or string.sub(header, 2, 9) ~= ARGV[2] then return 'stale' end
local state = string.sub(header, 22, 22)
local unknowns = string.byte(header, 23)

local function end_with(what)
  redis.call('ZREM', state == 'd' and KEYS[2] or KEYS[1], id)
  redis.call('HDEL', KEYS[3], id)
  if #header == 63 then redis.call('HDEL', KEYS[4], id) end
  if state == 'd' then redis.call('HDEL', KEYS[5], id) end
  redis.call('HINCRBY', KEYS[6], what, 1)
  return 'done'
end

-- Counts from any attempt, wherever the item lies.
if verdict == 'accepted' then return end_with('done') end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[6])
if state ~= 'c' or string.sub(header, 10, 13) ~= ARGV[3] then return 'stale' end
if tonumber(redis.call('ZSCORE', KEYS[1], id)) <= now then return 'stale' end

-- Everything is read; from here on only writes.
local function die(why, in_a_row)
  local body = string.sub(header, 1, 21) .. 'd' .. string.char(in_a_row) .. string.sub(header, 24)
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZADD', KEYS[2], now, id)
  redis.call('HSET', KEYS[3], id, body)
  redis.call('HSET', KEYS[5], id, why)
  return 'done'
end

local function wait(attempt, in_a_row, due)
  local begun = string.sub(header, 1, 9) .. attempt .. string.sub(header, 14, 21)
  local waits = 'w' .. string.char(in_a_row) .. struct.pack('>I8', due) .. string.rep('\0', 16)
  redis.call('ZADD', KEYS[1], due, id)
  redis.call('HSET', KEYS[3], id, begun .. waits .. string.sub(header, 48))
  return 'done'
end

if verdict == 'again' then return wait(ARGV[3], 0, tonumber(ARGV[5])) end
if verdict == 'unknown' and unknowns == 0 then return wait(ARGV[3], 1, tonumber(ARGV[5])) end
if verdict == 'unknown' then return die('unknown twice in a row: a person must look', unknowns + 1) end
if verdict == 'dead' then return die(ARGV[5], unknowns) end
if verdict == 'suppressed' then return end_with('s:' .. ARGV[5]) end
-- Later: it was no attempt.
local attempt = struct.pack('>I4', struct.unpack('>I4', ARGV[3]) - 1)
return wait(attempt, unknowns, tonumber(ARGV[5]))
