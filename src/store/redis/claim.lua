#!lua flags=allow-oom
-- Takes due items for a while, oldest due first. Allowed when memory is full, because work done is what frees it.
--
-- KEYS  1 to 6 the queue in the order of keys.rs: waiting, dead, headers, payloads, reasons, counts; 7 what this
--       claim's token took
-- ARGV  1 token, 2 at most so many, 3 the lease in ms, 4 what stands before a citizen's id in the record's key,
--       5 the clock's shift in ms
-- Gives {next due or '', then four an item: id, header, payload or nothing, record or nothing}. The records are not
-- declared: they are in the same slot.
local token, max, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[5])

-- What this token took before and still holds: then the claim is sent again, and changes nothing.
local function held()
  local before = redis.call('LRANGE', KEYS[7], 0, -1)
  if #before == 0 then return {}, {} end
  local found = redis.call('HMGET', KEYS[3], unpack(before))
  local ends = redis.call('ZMSCORE', KEYS[1], unpack(before))
  local ids, headers = {}, {}
  for n, header in ipairs(found) do
    local ours = header and string.sub(header, 22, 22) == 'c' and string.sub(header, 32, 47) == token
    if ours and ends[n] and tonumber(ends[n]) > now then
      ids[#ids + 1], headers[#headers + 1] = before[n], header
    end
  end
  return ids, headers
end

-- The due ones, up to max, and the headers they shall have.
local function due()
  local ids, headers = {}, {}
  local range = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, max)
  if #range == 0 then return ids, headers end
  local found = redis.call('HMGET', KEYS[3], unpack(range))
  for n, header in ipairs(found) do
    local attempt = struct.unpack('>I4', string.sub(header, 10, 13))
    local first = string.sub(header, 14, 21)
    if first == '\0\0\0\0\0\0\0\0' then first = struct.pack('>I8', now) end
    ids[n] = range[n]
    headers[n] = string.sub(header, 1, 9) .. struct.pack('>I4', attempt + 1) .. first .. 'c'
      .. string.sub(header, 23, 31) .. token .. string.sub(header, 48)
  end
  return ids, headers
end

local ids, headers = held()
local fresh = #ids == 0
if fresh then ids, headers = due() end

local ours = {}
for _, id in ipairs(ids) do ours[id] = true end
local answer = { '' }
local first = redis.call('ZRANGE', KEYS[1], 0, #ids, 'WITHSCORES')
for at = 1, #first, 2 do
  if not ours[first[at]] then
    answer[1] = first[at + 1]
    break
  end
end
if #ids == 0 then return answer end

local payloads = redis.call('HMGET', KEYS[4], unpack(ids))
local keys = {}
for n, header in ipairs(headers) do keys[n] = ARGV[4] .. string.sub(header, 48, 63) end
local records = redis.call('MGET', unpack(keys))
for n, id in ipairs(ids) do
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = id, headers[n], payloads[n], records[n]
end

-- Everything is read; from here on only writes.
if fresh then
  local scores, fields = {}, {}
  for n, id in ipairs(ids) do
    scores[2 * n - 1], scores[2 * n] = now + lease, id
    fields[2 * n - 1], fields[2 * n] = id, headers[n]
  end
  redis.call('ZADD', KEYS[1], unpack(scores))
  redis.call('HSET', KEYS[3], unpack(fields))
  redis.call('DEL', KEYS[7])
  redis.call('RPUSH', KEYS[7], unpack(ids))
  redis.call('PEXPIRE', KEYS[7], lease)
end
return answer
