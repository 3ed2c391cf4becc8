using System.Text;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Parquet;

namespace Trainer.Evaluation.Scoring;

/// <summary>Scores documents one by one and writes a row for each of their tokens, for notebooks.</summary>
/// <param name="scorer">What scores them.</param>
/// <param name="tokenizer">The tokenizer of their tokens.</param>
public sealed class ScoreTable(SequenceScorer scorer, Tokenizer tokenizer)
{
    private static readonly ParquetColumn[] Columns =
    [
        new("document", ParquetKind.Integer), new("position", ParquetKind.Integer), new("token", ParquetKind.Integer), new("text", ParquetKind.Text),
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

    /// <summary>Writes the table: the document's number, the token's position in it from 0, its id, its text (U+FFFD for what is no whole
    /// character) and −log p in nats, null where the model says nothing about it. The file is whole or not there.</summary>
    /// <param name="path">The Parquet file; replaced when it is there.</param>
    /// <param name="documents">Numbers and token ids of documents, scored as they are asked for.</param>
    /// <param name="source">Token ids of what an encoder-decoder reads; null for other models.</param>
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
