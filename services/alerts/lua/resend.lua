-- Puts a dead message into the queue again, with the same id; a digest with the messages that died with it.
-- KEYS: 1 retry  2 pending  3 settled  4 gathered (alert -> digest)
-- ARGV: 1 prefix  2 delivery id  3 delivery as it was read  4 delivery  5 now_us  6… of each message of a digest:
--       its id, alert id, delivery
-- Returns 1, or 0 when it is not as it was read.
local prefix, delivery_id = ARGV[1], ARGV[2]
local key = prefix .. 'delivery:' .. delivery_id
if redis.call('HGET', key, 'json') ~= ARGV[3] then return 0 end
redis.call('HSET', key, 'json', ARGV[4])
redis.call('ZREM', KEYS[3], delivery_id)
redis.call('ZADD', KEYS[1], ARGV[5], delivery_id)
redis.call('ZADD', KEYS[2], ARGV[5], delivery_id)
for n = 6, #ARGV, 3 do
  local member = ARGV[n]
  redis.call('HSET', prefix .. 'delivery:' .. member, 'json', ARGV[n + 2], 'digest', delivery_id)
  redis.call('HSET', KEYS[4], ARGV[n + 1], delivery_id)
  redis.call('ZREM', KEYS[3], member)
  redis.call('ZADD', KEYS[2], ARGV[5], member)
end
return 1
