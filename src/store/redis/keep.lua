-- Keeps what a vendor calls an MT, and makes due the receipts that waited for it. Allowed when memory is full, because what
-- waits can go then.
--
-- KEYS  1 to 7 the queue of joins, 8 the vendor's id
-- ARGV  1 the MT and its part, 2 the clock's shift in ms, then every item that may wait for it
-- Gives 'kept'.
local now = now_ms(ARGV[2])
for at = 3, #ARGV do
  local item = look(1, ARGV[at])
  local waits = item.was and state(item.was) == 'w'
  if waits and struct.unpack('>I8', string.sub(item.was, 24, 31)) > now then
    change(item, as_waiting(item.was, attempt(item.was), unknowns(item.was), now), now)
  end
end
write('SET', KEYS[8], ARGV[1], 'PX', VENDOR_KEY_TTL)
note_items()
carry_out()
return 'kept'
