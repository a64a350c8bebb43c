-- When the first item of each sorted set of one partition is due.
--
-- KEYS  the waiting items of each queue, of an outbox the urgent ones too
-- Gives a due time or '' each.
local answer = {}
for n, waiting in ipairs(KEYS) do
  answer[n] = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2] or ''
end
return answer
