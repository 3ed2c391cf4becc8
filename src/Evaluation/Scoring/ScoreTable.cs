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

    /// <summary>Σ −log p over these, in nats.</summary>
    public double Total { get; private set; }

    /// <summary>Writes a Parquet table: the document's number, the token's position in it from 0, its id, its text (U+FFFD for what is no
    /// whole character) and −log p in nats, null where there is none. The file is complete or absent.</summary>
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

/// <summary>The negative log-likelihood of each token of a text.</summary>
/// <param name="Tokens">Token ids, T of them.</param>
/// <param name="NegativeLogLikelihood">−log p of each, in nats; <c>null</c> where the model says nothing about it.</param>
public sealed record TokenScores(IReadOnlyList<int> Tokens, IReadOnlyList<double?> NegativeLogLikelihood)
{
    /// <summary>Σ −log p over the scored tokens, in nats.</summary>
    [JsonIgnore]
    public double Total => NegativeLogLikelihood.Sum() ?? 0;

    /// <summary>How many tokens have a score.</summary>
    [JsonIgnore]
    public int Scored => NegativeLogLikelihood.Count(score => score is not null);
}
