-- A turn that changes queues: the rest of turn.lua.
if ARGV[7] ~= '' then
  local timer = look(tonumber(ARGV[7]), ARGV[8])
  local there = timer.was and state(timer.was) ~= 'd'
  if not there or generation(timer.was) ~= ARGV[9] then return { 'gone' } end
  take_away(timer, 'done')
end

if not is_expected() then return { 'conflict', redis.call('GET', KEYS[1]) } end

local now
for at = 11, #ARGV, 7 do
  local kind, base, id, header, due, payload, why = unpack(ARGV, at, at + 6)
  base = tonumber(base)
  if kind == 'c' then
    local item = look(base, id)
    if item.is then take_away(item, 's:cancelled') end
  elseif kind == 'p' then
    put(base, id, header, due, payload, why)
  else
    now = now or now_ms(ARGV[10])
    put(base, id, header, now, payload, why)
  end
end

note_turn()
note_items()
carry_out()
return { 'done' }
