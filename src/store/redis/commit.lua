#!lua
-- One turn: record, dialogue, own timer and queues change together or not at all.
--
-- KEYS  1 the record, 2 the dialogue (the record again when the turn has none), then six a queue in the order of
--       keys.rs: waiting, dead, headers, payloads, reasons, counts
-- ARGV  1 event or '', 2 expected version, 3 new record or '', 4 its life in ms (0: for ever), 5 new dialogue or '',
--       6 its life in ms, 7 where the own timer's queue begins in KEYS or '', 8 its item, 9 its generation, 10 the clock's
--       shift in ms, then seven an operation: kind (c cancel, p put, d put dead), where its queue begins in KEYS, item,
--       header, due ms, payload unless it stands behind the header, why it is dead
-- Gives {'done'}, {'seen', dialogue}, {'gone'} or {'conflict', record}.
--
-- In mid-dialogue: two reads, two writes. A header is cut at the offsets of item.rs.
local event = ARGV[1]
if event ~= '' then
  local seen = redis.call('GETRANGE', KEYS[2], 1, 32)
  if string.sub(seen, 1, 16) == event or string.sub(seen, 17, 32) == event then
    return { 'seen', redis.call('GET', KEYS[2]) }
  end
end

local items, order, counts = {}, {}, {}

local function look(base, id)
  local name = base .. ':' .. id
  if not items[name] then
    local header = redis.call('HGET', KEYS[base + 2], id)
    items[name] = { base = base, id = id, was = header, is = header }
    order[#order + 1] = items[name]
  end
  return items[name]
end

local function count(base, what)
  local name = base .. ':' .. what
  if not counts[name] then
    counts[name] = { key = KEYS[base + 5], what = what, n = 0 }
    counts[#counts + 1] = counts[name]
  end
  counts[name].n = counts[name].n + 1
end

-- Byte by byte: Lua's own < follows the server's locale.
local function newer(one, other)
  for at = 2, 9 do
    local a, b = string.byte(one, at), string.byte(other, at)
    if a ~= b then return a > b end
  end
  return false
end

if ARGV[7] ~= '' then
  local base = tonumber(ARGV[7])
  local timer = look(base, ARGV[8])
  local there = timer.was and string.sub(timer.was, 22, 22) ~= 'd'
  if not there or string.sub(timer.was, 2, 9) ~= ARGV[9] then return { 'gone' } end
  timer.is = false
  count(base, 'done')
end

local version = redis.call('GETRANGE', KEYS[1], 1, 8)
if version == '' then version = '\0\0\0\0\0\0\0\0' end
if version ~= ARGV[2] then return { 'conflict', redis.call('GET', KEYS[1]) } end

local now = 0
for at = 11, #ARGV, 7 do
  local kind, base = ARGV[at], tonumber(ARGV[at + 1])
  local item = look(base, ARGV[at + 2])
  if kind == 'c' then
    if item.is then count(base, 's:cancelled') end
    item.is = false
  else
    count(base, 'in')
    if item.is then count(base, 'replaced') end
    if not item.is or not newer(item.is, ARGV[at + 3]) then
      item.is, item.score, item.payload, item.why = unpack(ARGV, at + 3, at + 6)
      if kind == 'd' and now == 0 then
        local time = redis.call('TIME')
        now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[10])
      end
      if kind == 'd' then item.score = now end
    end
  end
end

-- Everything is read; from here on only writes.
local function write_life(key, value, ms)
  if ms == '0' then redis.call('SET', key, value) else redis.call('SET', key, value, 'PX', ms) end
end
if ARGV[3] ~= '' then write_life(KEYS[1], ARGV[3], ARGV[4]) end
if ARGV[5] ~= '' then write_life(KEYS[2], ARGV[5], ARGV[6]) end

local function place(header) return string.sub(header, 22, 22) == 'd' and 1 or 0 end

local function take_out(item)
  local base, id, was, is = item.base, item.id, item.was, item.is
  if not is or place(is) ~= place(was) then redis.call('ZREM', KEYS[base + place(was)], id) end
  if #was == 63 and (not is or item.payload == '') then redis.call('HDEL', KEYS[base + 3], id) end
  if place(was) == 1 and (not is or place(is) == 0) then redis.call('HDEL', KEYS[base + 4], id) end
  if not is then redis.call('HDEL', KEYS[base + 2], id) end
end

local function put_in(item)
  local base, id, is = item.base, item.id, item.is
  redis.call('ZADD', KEYS[base + place(is)], item.score, id)
  redis.call('HSET', KEYS[base + 2], id, is)
  if item.payload ~= '' then redis.call('HSET', KEYS[base + 3], id, item.payload) end
  if place(is) == 1 then redis.call('HSET', KEYS[base + 4], id, item.why) end
end

for _, item in ipairs(order) do
  if item.was and (not item.is or item.score) then take_out(item) end
  if item.is and item.score then put_in(item) end
end
for _, c in ipairs(counts) do redis.call('HINCRBY', c.key, c.what, c.n) end
return { 'done' }
