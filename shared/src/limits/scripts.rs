//! What Redis runs. Each script is atomic, takes the time from the server and gives every key an end.

use std::sync::LazyLock;

use redis::Script;

/// Takes a token from each bucket in turn, up to the first that refuses, and answers
/// `{place, quota, left, microseconds until full, microseconds to wait or -1}` of the tighter one. A bucket is the time in
/// microseconds at which it is full, as `take_token` keeps it in PostgreSQL. ARGV: quota and seconds of each.
pub(super) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local clock = redis.call('TIME')
         local now = clock[1] * 1000000 + clock[2]
         local tighter
         for place, key in ipairs(KEYS) do
             local quota = tonumber(ARGV[2 * place - 1])
             local span = ARGV[2 * place] * 1000000
             local step = span / quota
             local full = math.max(tonumber(redis.call('GET', key) or 0), now)
             if full + step > now + span + 1 then
                 return {place, quota, 0, math.ceil(full - now), math.ceil(math.max(full + step - now - span, 1))}
             end
             full = full + step
             redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1000)
             local left = math.floor((span - (full - now)) / step + 0.01)
             if not tighter or left < tighter[3] then
                 tighter = {place, quota, left, math.ceil(full - now), -1}
             end
         end
         return tighter",
    )
});

/// Reads counters, or raises them by ARGV[1], within a window of ARGV[2] milliseconds that begins with the first count. Answers count and
/// milliseconds left, counter by counter.
pub(super) static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local answer = {}
         for _, key in ipairs(KEYS) do
             local count = tonumber(redis.call('GET', key) or 0)
             if ARGV[1] ~= '0' then
                 count = redis.call('INCRBY', key, ARGV[1])
                 if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[2]) end
             end
             answer[#answer + 1] = count
             answer[#answer + 1] = math.max(redis.call('PTTL', key), 0)
         end
         return answer",
    )
});

/// Forgets the counter KEYS[1] and gives the bucket KEYS[2] back the token that takes ARGV[1] seconds to come.
pub(super) static FORGIVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('DEL', KEYS[1])
         local full, left = redis.call('GET', KEYS[2]), redis.call('PTTL', KEYS[2])
         if full and left > 0 then
             redis.call('SET', KEYS[2], string.format('%.0f', full - ARGV[1] * 1000000), 'PX', left)
         end
         return 1",
    )
});

/// Takes the turn KEYS[1] as ARGV[1] for ARGV[2] milliseconds; whoever finds it taken leaves word at KEYS[2].
pub(super) static TAKE_TURN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
         redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
         return 0",
    )
});

/// Ends a turn, if it is still ARGV[1]'s, and answers whether somebody left word meanwhile.
pub(super) static END_TURN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         redis.call('DEL', KEYS[1])
         return redis.call('DEL', KEYS[2])",
    )
});
