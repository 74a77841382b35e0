-- Writes down how the segments of a rule stand, if the caller still leads.
-- KEYS: 1 standing of the rule  2 leader  3 names of rules with a standing
-- ARGV: 1 fence  2 rule  3 number of segments to forget  4… those  then segment, memory (each)
-- Returns 1, or 0 when somebody else leads.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local forget = tonumber(ARGV[3])
for n = 4, 3 + forget do redis.call('HDEL', KEYS[1], ARGV[n]) end
for n = 4 + forget, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1]) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SADD', KEYS[3], ARGV[2])
else
  redis.call('SREM', KEYS[3], ARGV[2])
end
return 1
