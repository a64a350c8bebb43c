-- Keeps a receipt until its MT is known, if there is room. The same again takes no further place.
--
-- KEYS  1 to 7 the queue of joins
-- ARGV  1 item, 2 header, 3 due ms, 4 payload unless it stands behind the header
-- Gives 'waits' or 'full'.
local known_before = look(1, ARGV[1]).was
if not known_before and redis.call('ZCARD', KEYS[1 + WAITING]) >= JOINS_MAX then return 'full' end
put(1, ARGV[1], ARGV[2], ARGV[3], ARGV[4], '')
note_items()
carry_out()
return 'waits'
