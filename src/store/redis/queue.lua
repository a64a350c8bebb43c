-- Items of queues: each is looked up once, changed here, and noted when all changes are known, one call a key and command.
-- Every change of an item moves its queue's counts.
local items, order, counts = {}, {}, {}

-- An item whose header was read.
local function known(base, id, header)
  local item = { base = base, id = id, was = header, is = header }
  items[base .. ':' .. id], order[#order + 1] = item, item
  return item
end

local function look(base, id)
  return items[base .. ':' .. id] or known(base, id, redis.call('HGET', KEYS[base + HEADERS], id))
end

local function count(base, what)
  local name = base .. ':' .. what
  if not counts[name] then
    counts[name] = { key = KEYS[base + COUNTS], what = what, n = 0 }
    counts[#counts + 1] = counts[name]
  end
  counts[name].n = counts[name].n + 1
end

-- The item goes, and is counted as this.
local function take_away(item, what)
  item.is = false
  count(item.base, what)
end

-- The item gets another header, and is due, or died, then.
local function change(item, header, score, why)
  item.is, item.score, item.why = header, score, why
end

-- What is there gives way, unless it is newer: then the newcomer is what is replaced.
local function put(base, id, header, score, payload, why)
  local item = look(base, id)
  count(base, 'in')
  if item.is then count(base, 'replaced') end
  if item.is and above(generation(item.is), generation(header)) then return end
  item.payload = payload
  change(item, header, score, why)
end

local function note_what_was(item)
  local base, id, was, is = item.base, item.id, item.was, item.is
  if not is or place(is) ~= place(was) then gather('ZREM', KEYS[base + place(was)], id) end
  if #was == 63 and (not is or item.payload == '') then gather('HDEL', KEYS[base + PAYLOADS], id) end
  if place(was) == DEAD and (not is or place(is) ~= DEAD) then gather('HDEL', KEYS[base + REASONS], id) end
  if not is then gather('HDEL', KEYS[base + HEADERS], id) end
end

local function note_what_is(item)
  local base, id, is = item.base, item.id, item.is
  gather('ZADD', KEYS[base + place(is)], item.score, id)
  gather('HSET', KEYS[base + HEADERS], id, is)
  if item.payload and item.payload ~= '' then gather('HSET', KEYS[base + PAYLOADS], id, item.payload) end
  if place(is) == DEAD then gather('HSET', KEYS[base + REASONS], id, item.why) end
end

local function note_items()
  for _, item in ipairs(order) do
    if item.was and (not item.is or item.score) then note_what_was(item) end
    if item.is and item.score then note_what_is(item) end
  end
  for _, c in ipairs(counts) do write('HINCRBY', c.key, c.what, c.n) end
end
