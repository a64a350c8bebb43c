-- Says how an attempt at a claimed item went. Allowed when memory is full, because work done is what frees it.
--
-- KEYS  1 to 7 the queue; of an outbox then 8 to 14 the timers, 15 the MT's life
-- ARGV  1 item, 2 generation, 3 attempt (four bytes), 4 verdict, 5 due ms, or why it is dead, or the reason, 6 the clock's
--       shift in ms; when the MT's life is told, then 7 what was said, 8 the vendor's id or '', 9 a line for the thread or
--       '', 10 what stands before a citizen's id in the thread's key
-- Gives 'done' or 'stale'. The thread is not declared: it is in the same slot.
local verdict, said = ARGV[4], ARGV[7]
local accepted = verdict == 'accepted'
local now = now_ms(ARGV[6])
local item = look(1, ARGV[1])
local header = item.was

-- Accepted counts from any attempt, wherever the item lies; all else while its own attempt holds the lease.
local function counts_now()
  if not header or generation(header) ~= ARGV[2] then return false end
  if accepted then return true end
  if state(header) ~= 'c' or attempt(header) ~= ARGV[3] then return false end
  return tonumber(redis.call('ZSCORE', KEYS[1 + place(header)], ARGV[1])) > now
end

local function wait(attempt, in_a_row)
  local due = tonumber(ARGV[5])
  change(item, as_waiting(header, attempt, in_a_row, due), due)
end

local function settle()
  local before = unknowns(header)
  if accepted and is_mt(header) then return accept(item, 8, now) end
  if accepted then return take_away(item, 'done') end
  if verdict == 'suppressed' then return take_away(item, 's:' .. ARGV[5]) end
  if verdict == 'again' then return wait(ARGV[3], 0) end
  if verdict == 'unknown' and before == 0 then return wait(ARGV[3], 1) end
  if verdict == 'unknown' then return change(item, as_dead(header, before + 1), now, UNKNOWN_TWICE) end
  if verdict == 'dead' then return change(item, as_dead(header, before), now, ARGV[5]) end
  -- Later: it was no attempt.
  wait(struct.pack('>I4', struct.unpack('>I4', ARGV[3]) - 1), before)
end

local counts_for = counts_now()
if counts_for then settle() end

-- A receipt that came first has taken the item; what the vendor answered is told all the same, once.
if said and (counts_for or accepted) then
  local key = KEYS[15]
  read_life(key)
  local news = tell_line(key, struct.pack('>I8', now), 's' .. ARGV[3], said)
  if accepted then tell_state(key, 0, ACCEPTED) end
  if ARGV[8] ~= '' and life.v ~= ARGV[8] then tell(key, 'v', ARGV[8]) end
  note_life(key)
  local whose = header and citizen(header) or life.c
  if news and whose and ARGV[9] ~= '' then
    local thread = ARGV[10] .. whose
    write('RPUSH', thread, ARGV[9])
    write('LTRIM', thread, -THREAD_LINES, -1)
    write('PEXPIRE', thread, THREAD_TTL)
  end
end
note_items()
carry_out()
return counts_for and 'done' or 'stale'
