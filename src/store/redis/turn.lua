-- One turn: record, dialogue or mark, own timer and queues change together or not at all.
--
-- KEYS  1 the record, 2 the dialogue, or the event's mark (the record again when the turn has neither), then seven a queue
-- ARGV  1 event or '', 2 expected version, 3 new record or '', 4 its life in ms (0: for ever), 5 new dialogue, or '' when
--       the event has a mark, 6 its life, or the mark's, in ms, 7 where the own timer's queue begins in KEYS or '', 8 its
--       item, 9 its generation, 10 the clock's shift in ms, then seven an operation: kind (c cancel, p put, d put dead),
--       where its queue begins in KEYS, item, header, due ms, payload unless it stands behind the header, why it is dead
-- Gives {'done'}, {'seen', dialogue or nothing}, {'gone'} or {'conflict', record}.
--
-- In mid-dialogue: by USSD two reads, two writes; by SMS four of each.
local event, marked = ARGV[1], ARGV[5] == ''
if event ~= '' and marked then
  if redis.call('EXISTS', KEYS[2]) == 1 then return { 'seen' } end
elseif event ~= '' then
  local seen = redis.call('GETRANGE', KEYS[2], 1, 32)
  if string.sub(seen, 1, 16) == event or string.sub(seen, 17, 32) == event then
    return { 'seen', redis.call('GET', KEYS[2]) }
  end
end

local function is_expected()
  local version = redis.call('GETRANGE', KEYS[1], 1, 8)
  return version == ARGV[2] or version == '' and ARGV[2] == '\0\0\0\0\0\0\0\0'
end

local function note(key, value, ms)
  if ms == '0' then write('SET', key, value) else write('SET', key, value, 'PX', ms) end
end

local function note_turn()
  if ARGV[3] ~= '' then note(KEYS[1], ARGV[3], ARGV[4]) end
  if not marked then
    note(KEYS[2], ARGV[5], ARGV[6])
  elseif event ~= '' then
    note(KEYS[2], 1, ARGV[6])
  end
end

-- A step in mid-dialogue changes no queue: all that follows would be made ready for nothing, for six microseconds.
if #ARGV == 10 and ARGV[7] == '' then
  if not is_expected() then return { 'conflict', redis.call('GET', KEYS[1]) } end
  note_turn()
  carry_out()
  return { 'done' }
end

