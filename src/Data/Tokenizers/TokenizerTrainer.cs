namespace Trainer.Data;

/// <summary>Learns what a tokenizer has to know from the training text.</summary>
public abstract class TokenizerTrainer
{
    /// <summary>Takes in the next piece of the training text.</summary>
    /// <param name="text">A piece that never splits a character; pieces come in order.</param>
    public abstract void Observe(ReadOnlySpan<char> text);

    /// <summary>Builds the tokenizer from all that was observed.</summary>
    /// <returns>The tokenizer; the same text gives the same one.</returns>
    public abstract Tokenizer Build();
}
