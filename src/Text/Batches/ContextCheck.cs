using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>Whether a shard is long enough for a context.</summary>
internal static class ContextCheck
{
    /// <summary>Checks that at least one window fits, with its last target.</summary>
    /// <exception cref="UserException">The context is longer than the data.</exception>
    public static void Require(TokenShard shard, int contextLength)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 1);
        if (shard.Length <= contextLength)
            throw new UserException(
                $"{shard.Name} has {shard.Length} tokens, but model.contextLength ({contextLength}) needs at least {contextLength + 1L}; "
                + (shard.Length > 1 ? $"set model.contextLength to {shard.Length - 1} or less, or give more text" : "give more text"));
    }
}
