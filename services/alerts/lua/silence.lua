-- Changes one silence and counts the change, whole or not at all.
-- KEYS: 1 silences  2 silences that are over  3 revision
-- ARGV: 1 id  2 silence as it was read ('' when it must not exist)  3 silence  4 '1' when it is over  5 most ('' for any)
-- Returns 1; 0 when it is not as it was read; -1 when there are too many.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[5] ~= '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return -1 end
if ARGV[4] == '1' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
redis.call('INCR', KEYS[3])
return 1
