using System.Text;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Learns a tokenizer from the training texts of a recipe.</summary>
public static class TokenizerTraining
{
    /// <summary>Learns the tokenizer that <see cref="DataPreparation"/> would learn.</summary>
    /// <param name="data">The texts; only those to train on are read, the part that is held out included.</param>
    /// <param name="tokenizer">What to learn.</param>
    /// <param name="directory">The folder of prepared data, where built corpora are kept.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="UserException">A text is missing, cannot be read, or there is none.</exception>
    public static Tokenizer Train(DataOptions data, TokenizerOptions tokenizer, string directory, IProgress<string>? progress = null) =>
        Learn([.. data.Train.Select((source, index) => Corpus.Open(source, $"data.train.{index}", directory, progress, data.IsPaired))], tokenizer, progress).Tokenizer;

    /// <summary>Shows all text to the tokenizer's trainer, and measures it.</summary>
    internal static (Tokenizer Tokenizer, TextSize Size) Learn(IReadOnlyList<Corpus> corpora, TokenizerOptions tokenizer, IProgress<string>? progress)
    {
        var trainer = tokenizer.CreateTrainer();
        var size = default(TextSize);
        var pulse = new Pulse(progress, "reading data.train");
        foreach (var piece in corpora.SelectMany(corpus => corpus.Read()))
        {
            trainer.Observe(piece.Text.Span);
            size = new TextSize(size.Characters + CodePoints.Count(piece.Text.Span), size.Bytes + Encoding.UTF8.GetByteCount(piece.Text.Span));
            pulse.Beat(size.Bytes);
        }
        if (size.Characters == 0)
            throw new UserException($"data.train has no text: {string.Join(", ", corpora.SelectMany(corpus => corpus.Files))}; name a file with text");
        return (trainer.Build(), size);
    }

    /// <summary>How long a text is.</summary>
    internal readonly record struct TextSize(long Characters, long Bytes);
}
