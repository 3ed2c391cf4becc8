using System.Text;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data.Parquet;
using Trainer.Data.Tokenizers;

namespace Trainer.Evaluation.Scoring;

/// <summary>Scores documents one by one and writes a row for each of their tokens, for notebooks.</summary>
public sealed class ScoreTable(SequenceScorer scorer, Tokenizer tokenizer)
{
    private static readonly ParquetColumn[] Columns =
    [
        new("document", ParquetKind.Integer), new("position", ParquetKind.Integer), new("token", ParquetKind.Integer),
            new("text", ParquetKind.Text),
        new("negativeLogLikelihood", ParquetKind.Number),
    ];

    /// <summary>How many documents were scored.</summary>
    public int Documents { get; private set; }

    /// <summary>How many tokens they have.</summary>
    public long Tokens { get; private set; }

    /// <summary>How many of them have a score.</summary>
    public long Scored { get; private set; }

    /// <summary>Σ −log p over the scored tokens, in nats.</summary>
    public double Total { get; private set; }

    /// <summary>Writes a Parquet file, complete or absent: a document's number, a token's position, id, text (U+FFFD for parts of
    /// characters), and −log p in nats, null for none.</summary>
    /// <exception cref="UserException">A document cannot be scored; the message has its number. Or the file cannot be written.</exception>
    public void Write(string path, IEnumerable<(long Number, int[] Tokens)> documents, IReadOnlyList<int>? source = null) =>
        ParquetTable.Write(path, Columns, documents.SelectMany(document => Rows(document.Number, document.Tokens, source)));

    private IEnumerable<object?[]> Rows(long number, int[] tokens, IReadOnlyList<int>? source)
    {
        var scores = Score(number, tokens, source);
        Documents++;
        Tokens += tokens.Length;
        Scored += scores.Scored;
        Total += scores.Total;
        return tokens.Select((id, position) => new object?[]
        {
            number, (long)position, (long)id, Encoding.UTF8.GetString(tokenizer.TokenBytes(id)), scores.NegativeLogLikelihood[position],
        });
    }

    private TokenScores Score(long number, int[] tokens, IReadOnlyList<int>? source)
    {
        try
        {
            using var logits = scorer.Logits(tokens, source);
            return scorer.Score(tokens, logits);
        }
        catch (UserException e)
        {
            throw new UserException($"document {number}: {e.Message}", e);
        }
    }
}

/// <summary>−log p of each token of a text, in nats; null if the model says nothing about it.</summary>
public sealed record TokenScores(IReadOnlyList<int> Tokens, IReadOnlyList<double?> NegativeLogLikelihood)
{
    /// <summary>Σ −log p over the scored tokens, in nats.</summary>
    [JsonIgnore]
    public double Total => NegativeLogLikelihood.Sum() ?? 0;

    /// <summary>How many tokens have a score.</summary>
    [JsonIgnore]
    public int Scored => NegativeLogLikelihood.Count(score => score is not null);
}
