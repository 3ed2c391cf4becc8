namespace Trainer.Text;

/// <summary>Rows that an encoder reads.</summary>
/// <param name="Tokens">Token ids (rows × <paramref name="Columns"/>), row by row; 0 behind a row's end.</param>
/// <param name="Lengths">How many places of each row are filled; the others must not be seen.</param>
/// <param name="Columns">The length of the longest row.</param>
public sealed record SourceRows(long[] Tokens, int[] Lengths, int Columns)
{
    internal SourceRows Part(int first, int end) => new(Tokens[(first * Columns)..(end * Columns)], Lengths[first..end], Columns);
}
