-- Which values of a cut are counted by themselves: for ever, as is that the others are not. A cut is sealed by the first
-- value that finds no room. KEYS[1] the values, KEYS[2] the sealed cuts; ARGV[1] this cut there, ARGV[2] how many values
-- there may be, ARGV[3…] those in question. Returns 1 or 0 for each.
local sealed = redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1
local room = tonumber(ARGV[2]) - redis.call('SCARD', KEYS[1])
local answer = {}
for at = 3, #ARGV do
  local admitted = redis.call('SISMEMBER', KEYS[1], ARGV[at])
  if admitted == 0 and not sealed then
    if room > 0 then
      admitted = redis.call('SADD', KEYS[1], ARGV[at])
      room = room - 1
    else
      sealed = true
      redis.call('SADD', KEYS[2], ARGV[1])
    end
  end
  answer[at - 2] = admitted
end
return answer
