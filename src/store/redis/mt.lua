-- An MT at its vendor: what follows for the outbox and the timers, and what its life is told.
--
-- Its life is a HASH: p<part> the highest state heard of it, v the vendor's id, n how many lines there ever were, l<n> each
-- that is kept: when (eight bytes), of what (five: s and the attempt, or r and the part), what was said; c the citizen, when
-- a receipt came before the answer that it goes with.
local life, told = {}, false

local function read_life(key)
  local found = redis.call('HGETALL', key)
  for at = 1, #found, 2 do life[found[at]] = found[at + 1] end
end

local function tell(key, field, value)
  life[field], told = value, true
  gather('HSET', key, field, value)
end

-- Whether the line was news: the same thing said again is none. A new line takes the place of the oldest.
local function tell_line(key, at, of, said)
  local last = tonumber(life.n or 0)
  local first = math.max(last - LIFE_LINES, 0) + 1
  for line = first, last do
    if string.sub(life['l' .. line], 9) == of .. said then return false end
  end
  if last - first + 1 == LIFE_LINES then write('HDEL', key, 'l' .. first) end
  tell(key, 'n', last + 1)
  tell(key, 'l' .. last + 1, at .. of .. said)
  return true
end

-- Whether the part's state rose.
local function tell_state(key, part, state)
  if state <= tonumber(life['p' .. part] or 0) then return false end
  tell(key, 'p' .. part, state)
  return true
end

-- How long what was told is kept: the first final state shortens it.
local function note_life(key)
  if not told then return end
  local highest = 0
  for field, value in pairs(life) do
    if string.sub(field, 1, 1) == 'p' then highest = math.max(highest, tonumber(value)) end
  end
  if highest >= FINAL then
    write('PEXPIRE', key, LIFE_AFTER_END, 'LT')
  else
    write('PEXPIRE', key, LIFE_MAX, 'NX')
  end
end

local function start_timer(base, mt, kind, due, payload)
  local header = '\1' .. generation(mt) .. string.rep('\0', 12) .. 'w\0' .. struct.pack('>I8', due)
    .. string.rep('\0', 16) .. citizen(mt)
  put(base, '\1' .. citizen(mt) .. kind, header .. payload, due, '', '')
end

-- A vendor has the MT: it leaves the outbox, and its timers begin, as payload.rs writes them.
local function accept(item, timers, now)
  local mt = item.was
  take_away(item, 'done')
  local nth, remind, expire, moment = struct.unpack('>BI8I8I8', string.sub(mt, 96, 120))
  local response = string.sub(mt, 80, 95)
  if nth > 0 then
    local payload = '\1\2' .. response .. string.char(nth) .. generation(mt)
    start_timer(timers, mt, ':remind', now + remind, payload)
  end
  if moment > 0 then
    start_timer(timers, mt, ':expiry', math.min(now, moment) + expire, '\1\1' .. response)
  end
end
