using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace Trainer.Serving;

/// <summary>How requests are read and answers written.</summary>
internal static class Json
{
    /// <summary>OpenAI's names; a field that is not known, and so would do nothing, is an error.</summary>
    public static JsonSerializerOptions Options { get; } = Configure(new(JsonSerializerDefaults.General));

    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        options.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.RespectNullableAnnotations = true;
        options.AllowDuplicateProperties = false;
        options.MaxDepth = 32;
        options.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping; // answers are not put into HTML
        return options;
    }

    /// <summary>Reads a request's body.</summary>
    /// <exception cref="ApiException">It is not JSON, or not such a request; the error names the path.</exception>
    public static async Task<T> ReadAsync<T>(HttpRequest request, CancellationToken cancellation)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync<T>(request.Body, Options, cancellation)
                ?? throw ApiException.BadRequest("the body is null; send a JSON object");
        }
        catch (JsonException error)
        {
            string path = error.Path is { Length: > 2 } found ? found[2..] : "";
            throw ApiException.BadRequest(Message<T>(error, path), path.Length > 0 ? path : null);
        }
        catch (BadHttpRequestException error)
        {
            throw new ApiException(error.StatusCode, error.Message);
        }
    }

    // In the words of JSON, not of .NET, and without the place in the text, which the path says better.
    private static string Message<T>(JsonException error, string path)
    {
        if (error.Message.Contains("could not be mapped", StringComparison.Ordinal))
            return $"{path} is no field of this request{Known<T>(path)}";
        if (error.Message.Contains("Duplicate property", StringComparison.Ordinal)) return $"{path} is there twice";
        string[] kinds = ["System.Int", "a whole number", "System.Double", "a number", "System.Boolean", "true or false", "System.String[]",
            "a list of texts", "System.String", "a text", "Dictionary", "an object of numbers by token id"];
        if (error.Message.StartsWith("The JSON value could not be converted", StringComparison.Ordinal))
        {
            int kind = Array.FindIndex(kinds, kind => error.Message.Contains(kind, StringComparison.Ordinal));
            return $"{(path.Length > 0 ? path : "the body")} must be {(kind >= 0 ? kinds[kind + 1] : "a JSON object")}";
        }
        int place = error.Message.IndexOf(" Path: ", StringComparison.Ordinal);
        return place < 0 ? error.Message : error.Message[..place];
    }

    private static string Known<T>(string path) => path.Contains('.')
        ? ""
        : $"; known here: {string.Join(", ", Options.GetTypeInfo(typeof(T)).Properties.Select(property => property.Name))}";
}
