namespace Trainer.Data;

/// <summary>A folder of prepared data, as its own record describes it.</summary>
/// <param name="Directory">The folder.</param>
/// <param name="Files">The files it was made from.</param>
/// <param name="IsCurrent">Whether none of them was touched since.</param>
/// <param name="Bytes">Its size on the disk.</param>
/// <param name="Train">The training split.</param>
/// <param name="Validation">The validation split.</param>
public sealed record PreparedDataset(string Directory, int Files, bool IsCurrent, long Bytes, SplitStatistics Train, SplitStatistics Validation)
{
    /// <summary>Finds what is prepared.</summary>
    /// <param name="directory">The folder of prepared data, such as <c>datasets</c>; it need not be there.</param>
    /// <returns>What is in it, by name; folders that are damaged or of an earlier version are left out.</returns>
    public static IReadOnlyList<PreparedDataset> Find(string directory) =>
        !System.IO.Directory.Exists(directory) ? [] :
        [
            .. from folder in System.IO.Directory.GetDirectories(directory).Order(StringComparer.Ordinal)
               where Path.GetExtension(folder) is not (".tmp" or ".old")
               let record = PreparedFolder.TryReadRecord(folder)
               where record is not null
               select new PreparedDataset(
                   folder, record.Sources.Count, record.Sources.All(source => source.IsUntouched()),
                   new DirectoryInfo(folder).GetFiles().Sum(file => file.Length), record.Train, record.Validation),
        ];
}
