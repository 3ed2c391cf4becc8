using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Kernels;

namespace Trainer.Serving;

/// <summary>A request that is answered with an error of OpenAI's form.</summary>
/// <param name="status">The HTTP status.</param>
/// <param name="message">What is wrong, and the fix.</param>
/// <param name="parameter">The path of the field that is wrong; null for none.</param>
/// <param name="code">OpenAI's code, such as <c>model_not_found</c>; null for none.</param>
internal sealed class ApiException(int status, string message, string? parameter = null, string? code = null) : Exception(message)
{
    public int Status => status;

    public ErrorResponse Body => new(new(Message, Type, parameter, code));

    private string Type => status switch
    {
        401 => "authentication_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };

    /// <summary>What a client is told of a failure; one that nobody foresaw is written to standard error as well.</summary>
    public static ApiException Of(Exception error)
    {
        if (error is UserException) return new(500, error.Message);
        string reason = error is ExternalException torch ? torch.Summary : error.Message;
        Console.Error.WriteLine($"serve: {error.GetType().Name}: {reason}");
        return new(500, $"the server failed: {reason}");
    }

    public static ApiException BadRequest(string message, string? parameter = null, string? code = null) =>
        new(400, message, parameter, code);
}

/// <summary>The body of an error.</summary>
internal sealed record ErrorResponse(ErrorDetail Error);

/// <summary>What is wrong.</summary>
internal sealed record ErrorDetail(
    string Message, string Type, [property: JsonPropertyName("param")] string? Parameter, string? Code);
