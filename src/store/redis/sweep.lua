#!lua flags=no-writes
-- When the first item of each queue of one partition is due.
--
-- KEYS  the waiting items of each queue
-- Gives a due time or '' each.
local answer = {}
for n, waiting in ipairs(KEYS) do
  answer[n] = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2] or ''
end
return answer
