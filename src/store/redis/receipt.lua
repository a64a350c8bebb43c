-- A receipt: its MT has left, wherever it lies. Allowed when memory is full, because it takes MTs out.
--
-- KEYS  1 to 7 the outbox, 8 to 14 the timers, 15 the MT's life
-- ARGV  1 item, 2 part, 3 state (0: a word in no list), 4 when (eight bytes), 5 what was said, 6 the clock's shift in ms
-- Gives 'moved' or 'known'.
local key, part, heard = KEYS[15], tonumber(ARGV[2]), tonumber(ARGV[3])
read_life(key)
local moved = false
if heard > 0 then
  local item = look(1, ARGV[1])
  moved = tell_state(key, part, heard)
  if item.was then
    accept(item, 8, now_ms(ARGV[6]))
    tell(key, 'c', citizen(item.was))
    moved = true
  end
end
tell_line(key, ARGV[4], struct.pack('>c1I4', 'r', part), ARGV[5])
note_life(key)
note_items()
carry_out()
return moved and 'moved' or 'known'
