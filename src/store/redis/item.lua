-- A queue's keys, counted from the place in KEYS where they begin, in the order of keys.rs; headers, cut at the offsets of
-- item.rs.
local WAITING, URGENT, DEAD, HEADERS, PAYLOADS, REASONS, COUNTS = 0, 1, 2, 3, 4, 5, 6
local UNKNOWN_TWICE = 'unknown twice in a row: a person must look'

-- The server's time in milliseconds, with the clock's shift.
local function now_ms(shift)
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(shift)
end

-- Byte by byte: Lua's own < follows the server's locale.
local function above(one, other)
  for at = 1, #one do
    local a, b = string.byte(one, at), string.byte(other, at)
    if a ~= b then return a > b end
  end
  return false
end

local function generation(header) return string.sub(header, 2, 9) end
local function attempt(header) return string.sub(header, 10, 13) end
local function state(header) return string.sub(header, 22, 22) end
local function unknowns(header) return string.byte(header, 23) end
local function citizen(header) return string.sub(header, 48, 63) end
local function is_mt(header) return string.byte(header, 1) == 2 end

-- The sorted set in which an item with this header lies.
local function place(header)
  if state(header) == 'd' then return DEAD end
  return is_mt(header) and string.byte(header, 69) == 1 and URGENT or WAITING
end

-- The headers that an item has next.
local function as_claimed(header, now, token)
  local first = string.sub(header, 14, 21)
  if first == '\0\0\0\0\0\0\0\0' then first = struct.pack('>I8', now) end
  local begun = struct.pack('>I4', struct.unpack('>I4', attempt(header)) + 1)
  return string.sub(header, 1, 9) .. begun .. first .. 'c' .. string.sub(header, 23, 31) .. token .. string.sub(header, 48)
end

local function as_waiting(header, attempt, in_a_row, due)
  local waits = 'w' .. string.char(in_a_row) .. struct.pack('>I8', due) .. string.rep('\0', 16)
  return string.sub(header, 1, 9) .. attempt .. string.sub(header, 14, 21) .. waits .. string.sub(header, 48)
end

local function as_dead(header, in_a_row)
  return string.sub(header, 1, 21) .. 'd' .. string.char(in_a_row) .. string.sub(header, 24)
end
