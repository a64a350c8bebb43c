-- Takes an invitation, once: its mark, the citizen's record if there is none, and the timer that begins the dialogue.
--
-- KEYS  1 the mark, 2 the record, 3 to 9 the timers
-- ARGV  1 until when the mark is kept, ms, 2 the record, 3 how long it is kept after the timer is due, in ms, 4 the clock's
--       shift in ms, then the timer: 5 item, 6 header, 7 due ms, 8 payload unless it stands behind the header
-- Gives 'taken' or 'repeated'.
if redis.call('EXISTS', KEYS[1]) == 1 then return 'repeated' end
local now = now_ms(ARGV[4])
local life = math.max(tonumber(ARGV[7]) - now, 0) + ARGV[3]
-- A record is never made shorter, and one for ever stays so.
if redis.call('EXISTS', KEYS[2]) == 1 then
  write('PEXPIRE', KEYS[2], life, 'GT')
else
  write('SET', KEYS[2], ARGV[2], 'PX', life)
end
put(3, ARGV[5], ARGV[6], ARGV[7], ARGV[8], '')
write('SET', KEYS[1], 1, 'PX', math.max(tonumber(ARGV[1]) - now, 1))
note_items()
carry_out()
return 'taken'
