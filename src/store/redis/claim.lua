-- Takes due items for a while, oldest due first; of an outbox the urgent ones before the others, and none that nobody needs
-- any more. Allowed when memory is full, because work done is what frees it.
--
-- KEYS  1 to 7 the queue, 8 what this claim's token took
-- ARGV  1 token, 2 at most so many, 3 what stands before a citizen's id in the record's key, 4 the clock's shift in ms,
--       5 outbox or '', 6 how long an MT is in doubt whose lease lapsed, in ms, or ''
-- Gives {next due or '', then four an item: id, header, payload or nothing, record or nothing}. The records are not
-- declared: they are in the same slot.
local token, max, outbox, doubt = ARGV[1], tonumber(ARGV[2]), ARGV[5] ~= '', tonumber(ARGV[6])
local PROMPT, CONFIRMATION = 1, 3
local places = outbox and { URGENT, WAITING } or { WAITING }
local now = now_ms(ARGV[4])

-- What this token took before and still holds: then the claim is sent again, and changes nothing.
local function held()
  local ids, headers = {}, {}
  local before = redis.call('LRANGE', KEYS[8], 0, -1)
  if #before == 0 then return ids, headers end
  local ends = {}
  for _, place in ipairs(places) do
    for n, at in ipairs(redis.call('ZMSCORE', KEYS[1 + place], unpack(before))) do ends[n] = at or ends[n] end
  end
  for n, header in ipairs(redis.call('HMGET', KEYS[1 + HEADERS], unpack(before))) do
    local ours = header and state(header) == 'c' and string.sub(header, 32, 47) == token
    if ours and ends[n] and tonumber(ends[n]) > now then
      ids[#ids + 1], headers[#headers + 1] = before[n], header
    end
  end
  return ids, headers
end

-- The due ones, no more than may be taken.
local function due()
  local ids = {}
  for _, place in ipairs(places) do
    local room = max - #ids
    if room > 0 then
      local range = redis.call('ZRANGE', KEYS[1 + place], '-inf', now, 'BYSCORE', 'LIMIT', 0, room)
      for _, id in ipairs(range) do ids[#ids + 1] = id end
    end
  end
  if #ids == 0 then return ids, {} end
  return ids, redis.call('HMGET', KEYS[1 + HEADERS], unpack(ids))
end

local ids, headers = held()
local fresh = #ids == 0
if fresh then ids, headers = due() end

local soonest
local function sooner(at)
  if not soonest or at < soonest then soonest = at end
end

local seen = {}
for _, id in ipairs(ids) do seen[id] = true end
for _, place in ipairs(places) do
  local first = redis.call('ZRANGE', KEYS[1 + place], 0, #ids, 'WITHSCORES')
  for at = 1, #first, 2 do
    if not seen[first[at]] then
      sooner(tonumber(first[at + 1]))
      break
    end
  end
end
local function next_due() return soonest and string.format('%.0f', soonest) or '' end
if #ids == 0 then return { next_due() } end

local keys = {}
for n, header in ipairs(headers) do keys[n] = ARGV[3] .. citizen(header) end
local records = redis.call('MGET', unpack(keys))
local payloads = outbox and {} or redis.call('HMGET', KEYS[1 + PAYLOADS], unpack(ids))

-- Why nobody needs this MT any more, if nobody does: the record begins as record.rs says.
local function needless(header, record)
  if not record then return 's:forgotten' end
  local kind, consent = string.byte(header, 68), string.sub(record, 10, 13)
  local stopped = string.byte(consent, 4) % 2 == 1
  if consent ~= string.sub(header, 64, 67) or stopped and kind ~= CONFIRMATION then return 's:consent' end
  if struct.unpack('>I8', string.sub(header, 70, 77)) < now then return 's:expired' end
  if kind == PROMPT and above(string.sub(record, 14, 21), generation(header)) then return 's:superseded' end
end

-- Its lease lapsed, so its request may have left: the attempt ended unknown.
local function leave_in_doubt(item, header)
  local in_a_row = unknowns(header) + 1
  if in_a_row > 1 then return change(item, as_dead(header, in_a_row), now, UNKNOWN_TWICE) end
  change(item, as_waiting(header, attempt(header), in_a_row, now + doubt), now + doubt)
  sooner(now + doubt)
end

local answer, taken = { '' }, {}
local function take(n, header)
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = ids[n], header, payloads[n] or false, records[n]
  taken[#taken + 1] = ids[n]
end

for n, header in ipairs(headers) do
  local item = known(1, ids[n], header)
  local reason = fresh and is_mt(header) and needless(header, records[n])
  if not fresh then
    take(n, header)
  elseif doubt and state(header) == 'c' then
    leave_in_doubt(item, header)
  elseif reason then
    take_away(item, reason)
  else
    change(item, as_claimed(header, now, token), now + LEASE)
    take(n, item.is)
  end
end
answer[1] = next_due()

note_items()
if fresh and #taken > 0 then
  write('DEL', KEYS[8])
  write('RPUSH', KEYS[8], unpack(taken))
  write('PEXPIRE', KEYS[8], LEASE)
end
carry_out()
return answer
