-- Posts a report: its mark, its text and its messages, or nothing.
-- KEYS: 1 marks (hash of reports to when they were dealt with)  2 leader  3 report  4 pending
-- ARGV: 1 prefix  2 fence  3 name  4 due_us  5 report ('' to deal with it by sending nothing)  6 seconds it is kept
--       7… receiver, delivery id, delivery, next_us (each)
-- Returns 1, or 0 when somebody else leads, or it was dealt with.
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
local mark = redis.call('HGET', KEYS[1], ARGV[3])
if mark and tonumber(mark) >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
if ARGV[5] == '' then return 1 end
redis.call('SET', KEYS[3], ARGV[5], 'EX', ARGV[6])
for n = 7, #ARGV, 4 do
  local receiver, id = ARGV[n], ARGV[n + 1]
  redis.call('HSET', ARGV[1] .. 'delivery:' .. id, 'json', ARGV[n + 2], 'event', ARGV[5])
  redis.call('ZADD', ARGV[1] .. 'retry:' .. receiver, ARGV[n + 3], id)
  redis.call('ZADD', KEYS[4], ARGV[n + 3], id)
end
return 1
