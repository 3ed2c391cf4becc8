using Trainer.Configuration;
using Trainer.Models;

namespace Trainer.Inference;

/// <summary>Why a model cannot read a prompt.</summary>
public enum PromptFault
{
    /// <summary>It has no tokens.</summary>
    Empty,

    /// <summary>It has fewer tokens than the model reads together before it writes.</summary>
    ShorterThanPrefix,

    /// <summary>It has more tokens than the context holds.</summary>
    LongerThanContext,
}

/// <summary>A prompt that the model cannot read.</summary>
public sealed class PromptException : UserException
{
    private PromptException(PromptFault fault, int tokens, int limit, string message) : base(message) =>
        (Fault, Tokens, Limit) = (fault, tokens, limit);

    /// <summary>What is wrong with it.</summary>
    public PromptFault Fault { get; }

    /// <summary>The tokens that it has, with those that the tokenizer puts around it.</summary>
    public int Tokens { get; }

    /// <summary>The fewest or the most tokens that there may be.</summary>
    public int Limit { get; }

    /// <param name="model">That is to read it.</param>
    /// <param name="tokens">How many the prompt has.</param>
    /// <param name="room">The most that the model reads.</param>
    /// <exception cref="PromptException">The model cannot read so many.</exception>
    internal static void ThrowIfUnfit(LanguageModel model, int tokens, int room)
    {
        if (tokens == 0) throw Empty();
        if (tokens < model.PrefixLength)
            throw new PromptException(
                PromptFault.ShorterThanPrefix, tokens, model.PrefixLength,
                $"the prompt has {tokens} tokens, but the model reads a prefix of {model.PrefixLength} together before it writes "
                + $"(attention pattern 'prefix'); give at least {model.PrefixLength} tokens");
        if (tokens > room)
            throw new PromptException(
                PromptFault.LongerThanContext, tokens, room,
                $"the prompt has {tokens} tokens, but the model's context holds {room}; " +
                $"shorten the prompt by at least {tokens - room} tokens, or train with a larger model.contextLength");
    }

    internal static PromptException Empty() => new(
        PromptFault.Empty, 0, 1, "the prompt is empty: there is nothing to continue; give at least one character");
}
