using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Whether there are enough tokens for a context.</summary>
internal static class ContextCheck
{
    /// <summary>Checks that at least one window fits, with the tokens that must follow it.</summary>
    /// <exception cref="UserException">The context is longer than the data.</exception>
    public static void Require(TokenRange range, int contextLength, int after)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 1);
        if (range.Length < (long)contextLength + after)
            throw new UserException(
                $"{range.Name} has {range.Length} tokens, but model.contextLength ({contextLength}) needs at least {(long)contextLength + after}; "
                + (range.Length > after ? $"set model.contextLength to {range.Length - after} or less, or give more text" : "give more text"));
    }
}
