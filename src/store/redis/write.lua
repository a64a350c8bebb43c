-- What an act writes is noted while it reads and carried out when it has read everything: in a slot that is being migrated a
-- missing key fails the script, and what it had written before would stay. So an act calls Redis itself only to read.
local noted, gathered = {}, {}

-- One command.
local function write(...)
  noted[#noted + 1] = { ... }
end

-- More arguments for the one call of this command on this key.
local function gather(command, key, ...)
  local name = command .. key
  local call = gathered[name]
  if not call then
    call = { command, key }
    gathered[name], noted[#noted + 1] = call, call
  end
  for _, argument in ipairs({ ... }) do call[#call + 1] = argument end
end

-- The last thing an act does.
local function carry_out()
  for _, call in ipairs(noted) do redis.call(unpack(call)) end
end
