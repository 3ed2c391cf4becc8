using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;

namespace Trainer.Evaluation;

/// <summary>The number of bytes of text each token stands for; 0 for special tokens.</summary>
internal sealed class TokenWidths
{
    private readonly int[] widths;

    public TokenWidths(Tokenizer tokenizer)
    {
        // Words are decoded with a space between them, which is in none of their tokens.
        int between = tokenizer is WordTokenizer ? 1 : 0;
        widths = [.. Enumerable.Range(0, tokenizer.VocabularySize).Select(id =>
            tokenizer.SpecialTokens.Contains(id) ? 0 : tokenizer.TokenBytes(id).Length + between)];
    }

    public long Of(Batch batch)
    {
        long sum = 0;
        foreach (long id in batch.Targets)
            if (id != Batch.Ignored && id < widths.Length) sum += widths[id];
        return sum;
    }
}
